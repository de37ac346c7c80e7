# mypy: ignore-errors
import time
from django.db import connection
from django.urls import reverse
from keys.models import ApiKey
from tests.queries import counting_queries

SQL = """
INSERT INTO accounts_user (account_id,name,email,is_disabled,created_at,updated_at,deleted_at)
 SELECT {a}, 'User '||i, 'u'||i||'@example.com', false, now(), now(), NULL FROM generate_series(1,100000) i;
INSERT INTO plans_subscription (account_id,user_id,plan_id,since,custom_start) SELECT {a}, id, {p}, now(), NULL FROM accounts_user WHERE email<>'' AND email LIKE 'u%' AND email NOT LIKE 'uma%';
INSERT INTO keys_apikey (account_id,public_id,name,user_id,plan_id,status,created_at,updated_at,deleted_at,expires_at,last_used_at)
 SELECT {a}, 'key_'||md5(i::text||'x'), 'key '||i, u.lo + i % 100000, NULL, 'active', now(), now(), NULL, NULL, NULL FROM generate_series(1,1000000) i, (SELECT min(id) lo FROM accounts_user WHERE email LIKE 'u%' AND email NOT LIKE 'uma%') u;
INSERT INTO keys_apikeysecret (account_id,api_key_id,digest,prefix,last4,created_at,expires_at)
 SELECT {a}, id, sha256(('s'||id)::bytea), 'lk_user_'||substr(md5(id::text),1,4), substr(md5(id::text),29,4), now(), NULL FROM keys_apikey;
INSERT INTO keys_usagewindow (account_id,subject_kind,subject_id,key_id,start,"end",units_allowed,units_adjusted,calls_allowed,calls_denied)
 SELECT {a}, 'u', user_id, id, date_trunc('month', now()), date_trunc('month', now())+interval '1 month', 3, 0, 3, 0 FROM keys_apikey;
"""

def test_scale(api, desk, alice):
    plan = alice.plan(100)
    user = alice.user(plan, email="uma@example.com")
    issued = alice.key(user=user)
    api.validate(alice, issued.secret)
    with connection.cursor() as c:
        for part in SQL.format(a=alice.account.pk, p=plan.pk).split(";"):
            if part.strip(): c.execute(part)
        c.execute("ANALYZE")
    for i in range(20):
        api.validate(alice, issued.secret)
    masked = issued.api_key.secrets.order_by('id').first().masked
    other = ApiKey.objects.order_by("-id").first()
    pages = {
        "keys": lambda: desk.get(reverse("admin:keys_apikey_changelist")),
        "keys of user": lambda: desk.get(reverse("admin:keys_apikey_changelist") + f"?user__id__exact={other.user_id}"),
        "keys of plan": lambda: desk.get(reverse("admin:keys_apikey_changelist") + f"?plan__id__exact={plan.pk}"),
        "keys search": lambda: desk.get(reverse("admin:keys_apikey_changelist") + "?q=key_abc"),
        "users": lambda: desk.get(reverse("admin:accounts_user_changelist")),
        "users of account": lambda: desk.get(reverse("admin:accounts_user_changelist") + f"?account_id={alice.account.pk}"),
        "key": lambda: desk.get(reverse("admin:keys_apikey_change", args=[issued.api_key.pk])),
        "other key": lambda: desk.get(reverse("admin:keys_apikey_change", args=[other.pk])),
        "user": lambda: desk.get(reverse("admin:accounts_user_change", args=[other.user_id])),
        "account": lambda: desk.get(reverse("admin:accounts_account_change", args=[alice.account.pk])),
        "plan": lambda: desk.get(reverse("admin:plans_plan_change", args=[plan.pk])),
        "why": lambda: desk.get(reverse("desk:why") + f"?key={issued.api_key.pk}&access_key={alice.access_key.pk}"),
        "why cold": lambda: desk.get(reverse("desk:why") + f"?key={other.pk}"),
        "find masked": lambda: desk.post(reverse("desk:find"), {"text": masked}),
        "find last4": lambda: desk.post(reverse("desk:find"), {"text": masked[-4:]}),
        "find secret": lambda: desk.post(reverse("desk:find"), {"text": issued.secret}),
        "find email": lambda: desk.post(reverse("desk:find"), {"text": "u77@example.com"}),
        "find name": lambda: desk.post(reverse("desk:find"), {"text": "User 77"}),
        "find id": lambda: desk.post(reverse("desk:find"), {"text": other.public_id}),
    }
    out = []
    for name, ask in pages.items():
        ask()
        took = []
        with counting_queries() as q:
            for _ in range(3):
                at = time.perf_counter(); r = ask(); r.content; took.append((time.perf_counter() - at) * 1000)
        out.append(f"{name:18} {r.status_code} {min(took):7.0f} ms max {max(took):7.0f}  {len(q) / 3:4.1f} queries")
    open("/tmp/wt-shots/why/scale.txt", "w").write("\n".join(out) + "\n")
