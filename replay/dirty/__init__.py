"""The built-in subject: all that knows dirty tracking, but for how it is taught."""
