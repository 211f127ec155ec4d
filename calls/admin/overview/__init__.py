"""The overview for administrators: health, failed jobs, storage and settings."""
