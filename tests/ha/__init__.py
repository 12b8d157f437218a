"""Failover, tested: PostgreSQL under Patroni with one synchronous standby, etcd, and two nodes of ours."""
