"""Was every call recorded? What witnesses say took place, against what was recorded."""
