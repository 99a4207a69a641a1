"""Results for people: one page, with its pictures beside it."""
