"""Tools for all rooms: one timer for many times, deadlines in words, a turnstile for many runners."""
