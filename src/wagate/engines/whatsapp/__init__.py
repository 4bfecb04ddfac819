"""The real WhatsApp behind the port: host processes load the library, the gateway speaks to them over sockets."""
