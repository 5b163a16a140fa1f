"""Where a deployment makes its own database, it makes the role that functions log in as."""

from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from migrations.login_role import ensure_login_role

