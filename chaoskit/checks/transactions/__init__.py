"""Transactions: what they read and wrote as flat arrays, who must come before whom, and the cycles in that."""
