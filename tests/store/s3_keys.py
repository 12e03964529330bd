"""The made-up credentials of the tests' S3 server; no message and no row may hold them."""

ACCESS_KEY = "AKIAFEATURESTORETEST"
SECRET_KEY = "made+up/SECRET/key/of/the/tests/0123456789"
#: Who has this key may read and list, and nothing else.
READING_KEY = "AKIAFEATURESTOREREAD"
