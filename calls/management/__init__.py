"""Commands of `manage.py`: check_recordings and delete_calls."""
