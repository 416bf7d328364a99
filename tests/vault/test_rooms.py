"""The package's own page says where what is."""

import pkgutil
import re

import vault


def test_every_module_has_its_place_on_the_package_page():
    """Each module stands once in the list that a newcomer reads first, and nothing stands there that is gone."""
    lines = re.findall(r"^    ([\w, ]+): ", vault.__doc__ or "", flags=re.MULTILINE)
    named = [name for line in lines for name in line.split(", ")]
    assert sorted(named) == sorted(module.name for module in pkgutil.iter_modules(vault.__path__))
