"""SMTP and LMTP: octets in, calls on the services, replies out. The only room that knows aiosmtpd."""
