"""What several workers must count together: rates, places, bans, greylists; in Redis, or in memory for one worker."""
