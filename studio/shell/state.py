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
UNIT = "unit"
COMPLEXITY_WEIGHT = "a"
QUALITY_WEIGHT = "b"
SEED = "seed"
NO_RESPONSE = "unanswered"
LANGUAGES = "language"
SOURCES = "file"
EXCLUDED_FLAGS = "without"
CONDITIONS = "where"
QUOTAS = "quota"
PIN_PLACE = "pins"
SELECT_VIEW = "view"
COLOUR = "colour"
SCORE_VIEW = "part"

# In the session, kept across pages.
EXPLORE_MAP = "explore_map"
SELECT_MAP = "select_map"
SEARCH = "search_text"
SELECT_SEARCH = "select_search"
FOCUS = "row_in_focus"
HISTORY = "rule_history"
AUTHOR = "author"
NOTICE = "notice"
WANTED_PAGE = "wanted_page"
NEXT_PROJECT = "next_project"
