"""Orders to the workers over Celery and Redis: ids only, and every one of them may vanish or come twice."""
