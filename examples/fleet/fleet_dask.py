"""The questions of `pagefold fleet` for Dask, on one machine or a cluster.

    python3 fleet_dask.py DIR [SCHEDULER]

DIR is what `pagefold census --out` has filled. Prints one JSON object: hosts, and what is true of all.
"""

import json
import sys

import dask.dataframe as dd


def main():
    if len(sys.argv) > 2:
        from dask.distributed import Client

        Client(sys.argv[2])
    rows = dd.read_parquet(f"{sys.argv[1]}/*.parquet", columns=["host", "guest", "high", "low", "pages"])
    guests = rows[["host", "guest"]].drop_duplicates().compute().groupby("host").size()
    on_host = rows.groupby(["host", "high", "low"]).pages.sum(split_out=8).reset_index()
    pages = on_host.groupby("host").pages.sum().compute()
    contents = on_host.groupby("host").pages.count().compute()
    hosts = [
        {
            "host": host,
            "guests": int(guests[host]),
            "pages": int(pages[host]),
            "contents": int(contents[host]),
            "saved": int(pages[host] - contents[host]),
        }
        for host in pages.index
    ]
    hosts.sort(key=lambda one: (-one["saved"], one["host"]))
    on_hosts = on_host.groupby(["high", "low"]).pages.count(split_out=8)
    print(
        json.dumps(
            {
                "hosts": hosts,
                "contents": int(on_hosts.size.compute()),
                "contents_on_several_hosts": int((on_hosts > 1).sum().compute()),
                "pages": int(pages.sum()),
            }
        )
    )


if __name__ == "__main__":
    main()
