"""Every question that `check` asks: its id, the setting it is about, and what to do when the answer is not good.

Ids never change their meaning; one that is no longer asked is not given out again. docs/checks.md is written from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    asks: str
    """A sentence that is true when all is well."""
    setting: str
    """As docs/settings.md names it; a section alone where its tables are free. Empty: the file as a whole."""
    hint: str


_SETTINGS: Mapping[str, Known] = {
    "C00": Known("All settings are understood", "", "Mend what the other lines with C say"),
    "C01": Known("The settings file can be read", "", "Check its path and mode; `takedown-receiver init` makes one"),
    "C02": Known("It is TOML, in UTF-8, and not huge", "", "config.example.toml shows every setting"),
    "C03": Known("Files of conf.d add, and change nothing that stands", "", "Take it out of one of the two files"),
    "C04": Known("Each environment variable names a setting", "", "TAKEDOWN_SECTION__KEY; in lists __0__"),
    "C10": Known("Every name is the name of a setting", "", "Mend the spelling, or take it out"),
    "C11": Known("What is required is there", "", "Add it as config.example.toml does"),
    "C12": Known("Every value is one that the setting can have", "", "Change the value"),
    "C20": Known("Stores, gates and caches have the members of their type", "adapters", "See the adapter's README"),
    "C21": Known("No issuer and no route stands twice", "routes.host", "Take one out; look into conf.d too"),
    "C22": Known("Routes name stores, gates and caches that exist", "routes.storage", "Add it, or name another"),
    "C23": Known("No quarantine lies under a web root", "adapters", "Choose a folder beside the root"),
    "C24": Known("SQLite lies on a local disk", "database.url", "Move it to a local disk, or use PostgreSQL"),
    "C25": Known("Each issuer's keys come from one place", "issuers.keys_file", "Name keys_file or keys_url"),
    "C26": Known("Callbacks go by https", "issuers.callback_url", "Plain http is for your own network and for tests"),
    "C27": Known("Each route has something that can act", "routes.storage", "Name a store, or a gate"),
    "C30": Known("Every file that the settings name is there", "keys.data_key_file", "Put it there"),
    "C31": Known("Secrets are closed to others than their owner", "keys.data_key_file", "chmod 600 the file"),
    "C32": Known("This user may read its files", "keys.data_key_file", "Give it to the user that runs this"),
}
_KEYS: Mapping[str, Known] = {
    "K01": Known(
        "Each key file holds a key of its kind",
        "keys.callback_key_file",
        "Bring it back from the backup of keys/; `takedown-receiver init` makes new ones in a new folder",
    ),
    "K02": Known(
        "The published keys are the public halves of those that we sign with",
        "keys.public_jwks_file",
        "Put the key file and the published file of the same `init` together, and tell issuers the fingerprints",
    ),
    "K03": Known(
        "Our signing keys are younger than two years",
        "keys.callback_key_file",
        "Make new ones with `takedown-receiver init` in a new folder and tell issuers the fingerprints",
    ),
    "K04": Known(
        "Nobody else can put other files in place of the keys",
        "keys.data_key_file",
        "Type: chmod go-w on that folder, and give it to the user that runs this",
    ),
    "K05": Known(
        "Check runs as the user that owns the keys",
        "keys.data_key_file",
        "Type it as that user (sudo -u, or inside the container): files that root makes lock the processes out",
    ),
}
_RULES: Mapping[str, Known] = {
    "R01": Known("Routes fit together", "routes.host", "Mend the route that is named; see route list"),
    "R02": Known("Protected addresses are addresses", "policy.protected", "Write scheme, host and path"),
    "R03": Known("Issuers' key files hold keys that we accept", "issuers.keys_file", "Ask the issuer for a JWKS"),
    "R04": Known(
        "Each issuer has a key that is good for the next month",
        "issuers.keys_file",
        "Ask the issuer for its next key, compare the fingerprint by telephone, then `takedown-receiver issuer enrol`",
    ),
    "R05": Known(
        "There is an issuer and a route",
        "routes.host",
        "Type: takedown-receiver issuer add, then takedown-receiver route add",
    ),
    "R06": Known("A route names each store, gate and cache", "routes.storage", "Name it in a route, or take it out"),
    "R07": Known("Weighty acts take two people", "policy.two_people", "Set policy.two_people to true"),
    "R08": Known("A withdrawal takes two people", "policy.on_withdrawal", 'Set policy.on_withdrawal to "two_people"'),
    "R09": Known(
        "Each issuer has a key that is confirmed and not revoked",
        "issuers.keys_url",
        "Type: takedown-receiver issuer list; have its fingerprint read to you by telephone, then two people type"
        " `takedown-receiver issuer approve-key`, or `issuer enrol` for a key file",
    ),
}
_DATABASE: Mapping[str, Known] = {
    "D01": Known(
        "The database answers",
        "database.url",
        "Start it, see its log and its free space; a new one is made by `takedown-receiver db upgrade`",
    ),
    "D02": Known(
        "Its tables are those of this program",
        "database.url",
        "Type: takedown-receiver db upgrade; tables that are newer need the newer program",
    ),
    "D03": Known(
        "It was written with this data key",
        "keys.data_key_file",
        "Bring back the data key that belongs to this database; without it nothing can be read",
    ),
    "D04": Known(
        "What it confirms survives a power cut",
        "database.url",
        "Switch it on in the server's settings: a notice that was acknowledged must not be lost",
    ),
    "D05": Known(
        "Its disk has space left", "server.data_dir", "Free space: a full disk refuses notices with 503 until then"
    ),
    "D06": Known(
        "Its role may do what the processes need, and no more",
        "database.url",
        "Make a role for each process; `takedown-receiver db grants` prints the SQL, after each upgrade anew",
    ),
}
_PROCESSES: Mapping[str, Known] = {
    "W01": Known(
        "Processes run, with these settings",
        "worker.node",
        "Send the ones with other settings SIGHUP, or restart them where their log says reload.restart_needed;"
        " `takedown-receiver serve` starts all",
    ),
    "W02": Known(
        "Every sweep succeeded not long ago",
        "worker.node",
        "Look for sweep.failed in the worker's log; it says why",
    ),
    "W03": Known("Nothing is paused", "worker.node", "Type: takedown-receiver resume, once it may act again"),
    "W04": Known(
        "Nothing waits for a person", "policy.page_again_minutes", "Open the admin pages; acknowledge what you work on"
    ),
}
_ADAPTERS: Mapping[str, Known] = {
    "A01": Known("It can be made from its settings", "adapters", "See the README in the adapter's folder"),
    "A02": Known("It answers", "adapters", "Start it, and see that this machine reaches it"),
    "A03": Known("Nothing is lost by how it is set up", "adapters", "See the README in the adapter's folder"),
    "A04": Known(
        "It can make things unreachable",
        "adapters",
        "What keeps it from that stands in its other lines; until then a notice for it waits and pages",
    ),
    "G01": Known(
        "The agent's own settings are in order",
        "agent.settings_file",
        "Mend agent.toml; adapters/agent/README.md lists its members",
    ),
    "G02": Known(
        "The agent knows every name that these settings want of it",
        "agent.settings_file",
        "Give the table in agent.toml the same name, then send the agent SIGHUP",
    ),
    "G03": Known(
        "The agent answers on its socket",
        "agent.settings_file",
        "Start it with `takedown-receiver agent`; its settings name who may connect (allow_uids, socket_group)",
    ),
    "G04": Known(
        "nginx runs, and reads and asks what its gate writes",
        "gates",
        "Start nginx; adapters/nginx/README.md shows the lines that each server needs",
    ),
    "G05": Known(
        "What nginx denies answers as the settings say",
        "policy.public_status",
        "Write that status behind `if ($takedown_deny) { return` in each server block, or change the setting",
    ),
}
_EVIDENCE: Mapping[str, Known] = {
    "V01": Known(
        "Two or more custodians can open evidence",
        "vault.recipients_file",
        "Each custodian types `takedown-receiver custodian new` on a machine of their own; put their lines there",
    ),
    "V02": Known("Vault and header store can be written", "vault.path", "Give the folder to the user that runs this"),
    "V03": Known("They have space left", "vault.path", "Free space, or move the vault, before it is full"),
    "V04": Known("They are closed to other users", "vault.path", "Type: chmod 700 on that folder"),
    "V05": Known(
        "Headers lie in two places that do not fail together",
        "vault.second_headers_path",
        "Set vault.second_headers_path to a folder on another disk: without headers no evidence can be opened",
    ),
    "V06": Known(
        "No custodian's identity is within reach",
        "vault.recipients_file",
        "Move it offline at once, and make a new one: who can open evidence must not share a machine with us",
    ),
    "V07": Known(
        "What is sealed reads back and opens",
        "vault.path",
        "Look at the vault's disk; nothing is removed while seals cannot be checked",
    ),
    "L01": Known(
        "Checkpoints are copied to where this host cannot rewrite them",
        "ledger.copy_to",
        "Mount a folder of another machine and name it in ledger.copy_to",
    ),
    "L02": Known("Each copy can be read and written", "ledger.copy_to", "Mount it, and give it to the user that runs"),
    "L03": Known(
        "Copies lie on another disk than the data",
        "ledger.copy_to",
        "Mount a folder of another machine there: whoever is root here can rewrite this one",
    ),
    "L04": Known(
        "Each copy holds the last checkpoint",
        "ledger.copy_to",
        "Type `takedown-receiver ledger verify`; where it says that a copy was cut, look at who could",
    ),
    "L05": Known(
        "A checkpoint was signed not long ago",
        "keys.ledger_key_file",
        "See that a worker runs; look for ledger.alarm and ledger.waits in its log",
    ),
}
_OUTSIDE: Mapping[str, Known] = {
    "T01": Known(
        "A time service keeps this machine's clock",
        "worker.node",
        "Install and start one (chrony, systemd-timesyncd) on the host",
    ),
    "T02": Known(
        "The database's clock is ours", "database.url", "Mend the time service of both machines; leases rest on it"
    ),
    "T03": Known(
        "Issuers' servers have the same time as we",
        "issuers.callback_url",
        "See that a time service keeps ours (T01); where several issuers differ from us, it is ours that is wrong, and"
        " signatures and evidence carry its times",
    ),
    "B01": Known(
        "The address resolves to one that may be connected to",
        "issuers.callback_url",
        "See its DNS records; an address inside your own network needs allow_private_callback = true",
    ),
    "B02": Known(
        "The other side answers, with a certificate that we trust",
        "issuers.callback_url",
        "A private authority is named by callback_ca_file; where no issuer's server answers, see the firewall on the"
        " way out",
    ),
    "B03": Known(
        "Its certificate is good for two more weeks",
        "issuers.callback_url",
        "Tell the issuer: callbacks wait from the day on which it ends",
    ),
    "B04": Known(
        "Each issuer hears outcomes", "issuers.callback_url", "Ask it for an address; without one it must ask us"
    ),
    "N01": Known(
        "The address can be listened on, or is ours already",
        "server.public_bind",
        "Choose an address of this machine and a port that nobody else has",
    ),
    "N02": Known(
        "Nobody on the way can read or change it",
        "server.public_bind",
        "Listen on loopback behind a proxy that ends TLS, or set server.tls_cert_file and server.tls_key_file",
    ),
    "N03": Known(
        "Our own certificate fits its key and our name, and does not end soon",
        "server.tls_cert_file",
        "Renew it and send the public side SIGHUP; senders refuse us from the day on which it ends",
    ),
}
_ITSELF: Mapping[str, Known] = {
    "X01": Known("Each part could be asked", "", "This is a mistake of the program or of the machine: report it"),
    "X02": Known("Nothing had to be left out", "", "Mend the settings first, then type check again"),
}

KNOWN: Mapping[str, Known] = {
    **_SETTINGS,
    **_KEYS,
    **_RULES,
    **_DATABASE,
    **_PROCESSES,
    **_ADAPTERS,
    **_EVIDENCE,
    **_OUTSIDE,
    **_ITSELF,
}

PARTS = (
    ("Settings", _SETTINGS),
    ("Our keys", _KEYS),
    ("Issuers, routes, policy", _RULES),
    ("Database", _DATABASE),
    ("Processes", _PROCESSES),
    ("Stores, gates, caches, the agent", _ADAPTERS),
    ("Evidence and ledger", _EVIDENCE),
    ("Clocks, callbacks, listening addresses", _OUTSIDE),
    ("`check` itself", _ITSELF),
)
