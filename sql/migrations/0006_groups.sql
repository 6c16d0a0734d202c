-- Groups: images that look nearly the same as the image that leads their group are one thing to review.

-- An image and its group. A group is named by the image that leads it, which is a member, and keeps its name. An image
-- without near-duplicates has no row: it is a group of its own.
create table group_member (
    image_id varchar not null,
    group_id varchar not null,            -- image_id of the image that leads the group
    encoder_id varchar not null,
    cosine float not null,                -- to that image; 1 for itself
    run_id varchar not null
);
