# What Takedown Receiver needs from Varnish 7: PURGE for one Host and URL, BAN for every spelling and query of a path.
#
# Include it before your own subroutines, so that a purge is answered before any of your rules can send it on:
#
#     vcl 4.1;
#     include "/etc/varnish/takedown.vcl";

import std;

# Who may purge: the addresses of the receiver's workers, and nobody else.
acl takedown {
    "127.0.0.1";
    "::1";
}

sub vcl_recv {
    if (req.method == "PURGE" || req.method == "BAN") {
        if (client.ip !~ takedown) {
            return (synth(405, "Not allowed"));
        }
        set req.http.Host = std.tolower(req.http.Host);
    }
    if (req.method == "PURGE") {
        return (purge);
    }
    if (req.method == "BAN") {
        # Only obj.* is named, so that the ban lurker can clear what nobody asks for any more.
        if (req.http.X-Takedown-Ban && std.ban("obj.http.X-Takedown-Host == " + req.http.Host
                + " && obj.http.X-Takedown-Url ~ " + req.http.X-Takedown-Ban)) {
            return (synth(200, "Banned"));
        }
        return (synth(400, "No ban"));
    }
}

sub vcl_backend_response {
    set beresp.http.X-Takedown-Host = std.tolower(bereq.http.Host);
    set beresp.http.X-Takedown-Url = bereq.url;
}

sub vcl_deliver {
    unset resp.http.X-Takedown-Host;
    unset resp.http.X-Takedown-Url;
}
