"""Magnetic resonance fingerprinting: simulation, parameter maps, and napari as their window.

Every public name is loaded at its first use, so that ``import napari_blochnet`` costs nothing and loads neither
torch nor Qt. The names stand in ``__init__.pyi``, for type checkers and for this.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"
__all__ += ["__version__"]
