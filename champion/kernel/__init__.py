"""The Python kernel of a supervised run: isolated from personal configuration, its output limited, its code recorded.

`python -m champion.base.gc_tuning champion.kernel -f CONNECTION_FILE` starts one. It needs IPython, the standard
library and nothing else of Champion, so that a kernel starts quickly.
"""

CODE_RECORD = "CHAMPION_CODE_RECORD"
"""The variable that names the file in which a kernel records the code it used."""
NOTEBOOK_FOLDER = "CHAMPION_NOTEBOOK_FOLDER"
"""The variable that names the folder of a person's own notebook: modules beside it can be imported."""
