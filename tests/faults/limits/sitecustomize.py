"""Python loads this first where the folder is on its path: workers get FAULTS_MEMORY bytes."""

import os
import resource
import sys

if "deita_core.jobs.worker" in sys.orig_argv and (limit := os.environ.get("FAULTS_MEMORY")):
    resource.setrlimit(resource.RLIMIT_AS, (int(limit), int(limit)))
