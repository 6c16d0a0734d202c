-- What people decided about images. Rows are only added: of one reviewer about one thing the newest counts, and the
-- decision `withdrawn` takes the one before it back.

create table review (
    review_number bigint not null,        -- in the order in which they were recorded: decides between equal times
    review_id varchar not null,           -- digest of the content: the same review is recorded once
    image_id varchar not null,            -- the image that was looked at
    group_id varchar,                     -- the decision is about all images of this group; null: about the image alone
    decision varchar not null,            -- id, ood, unsure, bad_image, withdrawn
    wrong_label varchar,                  -- a label that is wrong for the image
    note varchar,
    reviewer varchar not null,
    reviewed_at timestamp not null,
    origin varchar not null,              -- page, csv, jsonl, fiftyone, label-studio
    export_id varchar,                    -- the export that the file came from
    run_id varchar not null
);
