"""wagate: a self-hosted, multi-tenant WhatsApp gateway."""
