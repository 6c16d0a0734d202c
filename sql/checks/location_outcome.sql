-- Each location leads to an image or to a reject, and never to both.
select
    location.uri,
    location.role,
    count(distinct image.image_id) as images,
    count(distinct reject.uri) as rejects
from location
left join image on image.image_id = location.image_id
left join reject
    on reject.uri = location.uri
    and reject.role = location.role
group by location.uri, location.role
having count(distinct image.image_id) + count(distinct reject.uri) <> 1;
