-- runs with: 7
-- Leases by when they run out, without their id: as the second column of an index it was a way to find a run's lease that seemed to cost no more
-- than the primary key where statistics say that there are none. They say so whenever few runs are in hand, and while a transaction stays open
-- that index holds each lease of the last minutes. An outcome read all of it, and a list of waiting runs once for each.
DROP INDEX millrace.lease_until;
CREATE INDEX lease_until ON millrace.lease (until);
