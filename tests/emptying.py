"""Emptying the tables after a test: those that hold something, in a third of the time that `flush` takes for all.

Content types and permissions stay, for they are the same for every test; so nothing has to be made anew.
"""

from django.db import connection
from django.test import TransactionTestCase

EMPTY = """
DO $$
DECLARE
  one text;
  is_filled boolean;
  filled text[] := '{}';
BEGIN
  FOR one IN SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
      AND relname NOT IN ('django_migrations', 'django_content_type', 'auth_permission') LOOP
    EXECUTE 'SELECT EXISTS (SELECT FROM ' || one || ')' INTO is_filled;
    IF is_filled THEN
      filled := filled || one;
    END IF;
  END LOOP;
  IF cardinality(filled) > 0 THEN
    EXECUTE 'TRUNCATE ' || array_to_string(filled, ', ') || ' CASCADE';
  END IF;
END $$
"""


def empty_tables(_: TransactionTestCase) -> None:
    with connection.cursor() as cursor:
        cursor.execute(EMPTY)
