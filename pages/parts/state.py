"""Every session and query-parameter key of the app, named once.

Keys that stand in the URL are short words, because people read and share them. The session
holds choices; data is in the project file.
"""

from __future__ import annotations

# In the URL, so that a link shows the same view again.
PROJECT = "project"
ROW = "row"
THRESHOLD = "threshold"
BUDGET = "budget"
AGGREGATION = "turns"
STRATEGY = "strategy"
COLOUR = "colour"

# In the session, kept across pages.
NO_RESPONSE = "include_no_response"
LANGUAGES = "rule_languages"
SOURCES = "rule_sources"
EXCLUDED_FLAGS = "rule_excluded_flags"
EXPLORE_MAP = "explore_map"
SELECT_MAP = "select_map"
SEARCH = "search_text"
NOTICE = "notice"
WANTED_PAGE = "wanted_page"
NEXT_PROJECT = "next_project"
