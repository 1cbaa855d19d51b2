"""Examples are run once there is a program to run them."""

from tests.repository.tree import ROOT

collect_ignore = [] if (ROOT / "src" / "windlass" / "main.py").exists() else ["test_documents.py"]
