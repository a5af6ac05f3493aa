"""A technology cannot be called as a set that is measured beside those of each technology."""

from __future__ import annotations

import pytest

from models.data.findings_folder import RESERVED, read_folder
from models.data.generated_findings import write_sample
from models.errors import DataInvalid


@pytest.mark.parametrize("name", RESERVED)
def test_a_file_named_as_such_a_set_is_refused(name, tmp_path):
    write_sample(tmp_path, num_findings=360)
    (tmp_path / "test" / "chef.jsonl").rename(tmp_path / "test" / f"{name}.jsonl")
    with pytest.raises(DataInvalid, match=f"'{name}' is no technology: .* rename the file"):
        read_folder(tmp_path)
