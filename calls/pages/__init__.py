"""The pages of operators: dashboard, list and page of calls, downloads."""
