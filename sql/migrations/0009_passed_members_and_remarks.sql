-- Members of archives that were passed over when they were read last; what listings pass over is in `listing`.
create table passed_member (
    object_uri varchar not null,
    role varchar not null,
    heading varchar not null,             -- a suffix, or a remark in brackets
    files bigint not null,
    run_id varchar not null
);

-- What the decoder chose or overlooked where that is not the usual, such as bands left out; null for images that were
-- decoded before this was asked.
alter table image add column remark varchar;
