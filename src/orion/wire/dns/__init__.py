"""Messages of DNS (RFC 1035, 2782, 6891): `query` reads what clients ask, `answer` writes what they get, `reply`
looks at what other resolvers say before it is passed on.
"""
