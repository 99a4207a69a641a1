"""Results for people and for other programs: one HTML page, JSON, JUnit XML."""
