"""What differs between the generations of Open-Xchange: a folder for each product, and what all of them bring."""

from __future__ import annotations

from collections.abc import Mapping

from ox_deploy.products.base import Product
from ox_deploy.products.ox6 import Ox6

# By the values of the setting `product`.
PRODUCTS: Mapping[str, Product] = {"ox6": Ox6()}
