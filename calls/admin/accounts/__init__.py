"""Users, groups and tokens in the admin: nobody gets more than the administrator has.

rank.py    which accounts and permissions are within an administrator's own
users.py   users and groups
tokens.py  tokens of REST: the key is shown once
"""
