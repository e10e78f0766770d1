"""The closed forms of tests/physics/full_space.py, under a name that the case of the same name leaves free."""

from importlib.util import module_from_spec, spec_from_file_location

from common import ROOT

_spec = spec_from_file_location("closed_forms", ROOT / "tests" / "physics" / "full_space.py")
_module = module_from_spec(_spec)
_spec.loader.exec_module(_module)
force_velocity, moment_velocity = _module.force_velocity, _module.moment_velocity
