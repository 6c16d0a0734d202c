-- Tags that people gave images. Rows are only added: of an image and a tag the newest counts, whoever gave it or took it off.
create table tagging (
    tagging_number bigint not null,       -- in the order in which they were recorded: decides between equal times
    tagging_id varchar not null,          -- digest of the content: the same tagging is recorded once
    image_id varchar not null,
    tag varchar not null,
    given boolean not null,               -- false: it was taken off
    reviewer varchar not null,
    tagged_at timestamp not null,
    run_id varchar not null
);
