-- What images are worth as pictures: adds to the rows of a relation, which has the measures of `image`, scores of 0 to 1, where
-- less is worse, and flags of those below a threshold. Scores and thresholds are CleanVision's
-- (https://github.com/cleanlab/cleanvision). Null where an image was not measured, which is not to say that it is good:
-- so no `least` here, which passes over nulls. In blur_score a large level_deviation, of few grey levels that rule, speaks
-- for a drawing or the night, not for blur.
create or replace macro assessed(image_relation) as table
with parts as (
    select
        images.*,
        1 - exp(-0.01 * images.edge_deviation) as edges,
        1 - exp(-0.01 * images.level_deviation) as levels,
        0.1 * (images.entropy + log2(3)) as information
    from query_table(image_relation) as images
),

scored as (
    select
        parts.* exclude (edges, levels, information),
        brightness_99 as dark_score,
        1 - brightness_5 as bright_score,
        case when levels <= 0.18 then edges when edges + levels > 1 then 1 else edges + levels end as blur_score,
        if(information > 1, 1, information) as information_score,
        least(width, height) / greatest(width, height) as aspect_score
    from parts
)

select
    *,
    dark_score < 0.32 as dark,
    bright_score < 0.05 as bright,
    blur_score < 0.29 as blurry,
    information_score < 0.3 as low_information,
    aspect_score < 0.35 as odd_aspect
from scored;
