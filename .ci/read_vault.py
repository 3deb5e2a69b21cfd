"""Reads a vault of the local sandbox with the vendor's own SDK, as a customer of the vendor would."""

import sys

from fireblocks.client import Fireblocks
from fireblocks.client_configuration import ClientConfiguration

base_path, key_file = sys.argv[1:]
with open(key_file, encoding="ascii") as key:
    configuration = ClientConfiguration(api_key="ballast-sandbox", secret_key=key.read(), base_path=base_path)
with Fireblocks(configuration) as client:
    vault = client.vaults.get_vault_account("12").result().data
    totals = {asset.id: (asset.total, asset.available, asset.locked_amount) for asset in vault.assets}
    assert totals["USDT_ERC20"] == ("10000", "9500", "500"), totals
    page = client.vaults.get_paged_vault_accounts(limit=1).result().data
    assert [vault.id for vault in page.accounts] == ["12"], page
    moved = client.transactions.get_transactions(dest_type="VAULT_ACCOUNT", dest_id="12").result().data
    assert {transaction.asset_id for transaction in moved} == {"USDT_ERC20", "USDT_BSC"}, moved
print("the vendor's SDK reads the sandbox")
