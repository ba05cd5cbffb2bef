"""What every room builds on: one timer for many times, deadlines in words, a turnstile for crowds of runners."""
