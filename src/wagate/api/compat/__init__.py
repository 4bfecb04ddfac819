"""Dialects: the HTTP of other products, translated onto the gateway's functions. No rule and no SQL."""
