"""Import of calls that took place (`manage.py import_cdr`).

records.py         a line of call detail records as a call
azure_monitor.py   a record of Azure's log of media streaming as a call
reading.py         lines of files: CSV, JSON lines, gzip, standard input
"""
