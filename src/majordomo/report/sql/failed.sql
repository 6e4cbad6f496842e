r.status_code >= 400 OR r.outcome IN ('provider_broke', 'refused', 'gateway_stopped', 'lost')
