"""The Python kernel of a supervised run: without personal configuration, with limited output, with its code recorded.

`python -m champion.base.gc_tuning champion.kernel -f CONNECTION_FILE` starts one. It imports IPython, the standard
library and nothing else of Champion, so that a kernel starts quickly.
"""

CODE_RECORD = "CHAMPION_CODE_RECORD"
"""Variable with the file in which a kernel records the code it used."""
NOTEBOOK_FOLDER = "CHAMPION_NOTEBOOK_FOLDER"
"""Variable with the folder of a user's own notebook: modules beside it can be imported."""
