"""Reads a balance with the client that was generated from docs/openapi.json: read_balance.py PARENT-OF-THE-CLIENT API TOKEN."""

import sys
from uuid import UUID

sys.path.insert(0, sys.argv[1])
from ballast_client import AuthenticatedClient
from ballast_client.api.custody_view import get_custody_balances
from ballast_client.api.merchant_view import list_merchant_balances
from ballast_client.api.unified_view import get_asset_icon, get_balance, list_accounts
from ballast_client.models import Balance, Error, GetBalanceStack

client = AuthenticatedClient(base_url=sys.argv[2], token=sys.argv[3])
customer = UUID("0a11ce00-0000-4000-8000-000000000001")

balance = get_balance.sync(client=client, customer_id=customer, currency="EUR", stack=GetBalanceStack.CURRENCY, details=True)
assert isinstance(balance, Balance), balance
assert balance.total_balance > 0 and len(balance.stacks) > 5, balance
assert {rate.currency for rate in balance.rates} >= {"EUR", "USDC"}, balance.rates

page = list_accounts.sync(client=client, search_customer_id=customer, search_currency="USDC")
assert [account.currency for account in page.data] == ["USDC"], page

organization, merchant = "org_a0000000-0000-4000-8000-00000000000a", "mrc_a1000000-0000-4000-8000-0000000000a1"
balances = list_merchant_balances.sync(organization, merchant, client=client)
assert all(row.id.startswith("acc_") for row in balances), balances

custody = get_custody_balances.sync(UUID("550e8400-e29b-41d4-a716-446655440000"), client=client)
assert custody.total_usd_value > 0, custody

assert get_asset_icon.sync("EUROP", client=client).startswith("<svg ")

refused = get_balance.sync(client=client, customer_id=UUID(int=0), currency="EUR")
assert isinstance(refused, Error) and refused.error == "insufficient_permissions", refused

print(f"total_balance {balance.total_balance}, {page.pagination.total} account, custody {custody.total_usd_value}, refused as {refused.error}")
