"""What a Matrix client must not lose (specification, "Matrix Client Storage")."""

from __future__ import annotations

from clawstate.stores.matrix.bot_storage import BotStorage, SimpleFsStorageProvider, UserStorage
from clawstate.stores.matrix.credentials import MatrixCredential, MatrixCredentials
from clawstate.stores.matrix.documents import (
    BOT_STORAGE,
    CREDENTIALS,
    DATABASE,
    DEFAULT_CREDENTIALS,
    META,
    PICKLE,
    credentials_spec,
    spec_of,
)
from clawstate.stores.matrix.keys import MatrixKeys, PickleKey
from clawstate.stores.matrix.logins import Found, MatrixStoragePaths, choose, document_of
from clawstate.stores.matrix.names import MatrixLogin, account_key, is_storage_name

__all__ = [
    "BOT_STORAGE",
    "CREDENTIALS",
    "DATABASE",
    "DEFAULT_CREDENTIALS",
    "META",
    "PICKLE",
    "BotStorage",
    "Found",
    "MatrixCredential",
    "MatrixCredentials",
    "MatrixKeys",
    "MatrixLogin",
    "MatrixStoragePaths",
    "PickleKey",
    "SimpleFsStorageProvider",
    "UserStorage",
    "account_key",
    "choose",
    "credentials_spec",
    "document_of",
    "is_storage_name",
    "spec_of",
]
