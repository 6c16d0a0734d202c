-- What every image of the lake is worth as a picture, whatever it shows: a flag and a score (0 to 1, less is worse) of each kind.
-- Null is not measured, never good. Odd sizes are those far from the quartiles of the whole lake's, so they change with it.
create or replace view report.quality as
with images as (
    from report.images
),

sizes as (
    select
        quantile_cont(sqrt(cast(width as double) * height), 0.25) as first_quartile,
        quantile_cont(sqrt(cast(width as double) * height), 0.75) as third_quartile
    from images
),

usual as (
    select
        (first_quartile + third_quartile) / 2 as size,
        3.5 * (third_quartile - first_quartile) as most
    from sizes
),

pairs as (
    select image_id, cosine
    from report.near_duplicates
    union all
    select neighbour_id, cosine
    from report.near_duplicates
),

nearest as (
    select image_id, max(cosine) as cosine
    from pairs
    group by image_id
),

compared as (
    select vector.image_id
    from main.vector
    join main.newest_selection() as selection on selection.encoder_id = vector.encoder_id
    semi join main.compared_file
        on compared_file.encoder_id = vector.encoder_id
        and compared_file.vector_file = vector.vector_file
)

select
    assessed.image_id,
    assessed.uri,
    assessed.width,
    assessed.height,
    assessed.dark,
    assessed.dark_score,
    assessed.bright,
    assessed.bright_score,
    assessed.blurry,
    assessed.blur_score,
    assessed.low_information,
    assessed.information_score,
    assessed.odd_aspect,
    assessed.aspect_score,
    abs(sqrt(cast(assessed.width as double) * assessed.height) - usual.size) > usual.most as odd_size,
    1 - least(1, abs(sqrt(cast(assessed.width as double) * assessed.height) - usual.size)
        / coalesce(nullif(2 * usual.most, 0), usual.size)) as size_score,
    case when nearest.image_id is not null then true when compared.image_id is not null then false end as near_duplicate,
    nearest.cosine as near_duplicate_cosine,
    assessed.copies,
    assessed.brightness_5 is not null as measured
from main.assessed('images') as assessed
cross join usual
left join nearest on nearest.image_id = assessed.image_id
left join compared on compared.image_id = assessed.image_id;
