"""The pretend WhatsApp: a whole network without a phone, for trying everything and for tests."""
