"""Our graphs hold the library's edges, and refuse what has none."""

from __future__ import annotations

import numpy as np
import pytest
from conftest_alignn import crystal, cubic
from library_graph import edge_multiset, expanded_edges, library_edges

from featurestore.errors import InvalidInputError
from ingest.encoders.alignn.batch import collate
from ingest.encoders.alignn.graph import GraphSettings, build_graph
