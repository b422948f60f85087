{{- define "bridge.name" -}}
{{- .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "bridge.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "bridge.selectorLabels" -}}
app.kubernetes.io/name: {{ include "bridge.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "bridge.labels" -}}
{{ include "bridge.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "bridge.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "bridge.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "bridge.scheme" -}}
{{- if .Values.tls.secretName }}HTTPS{{ else }}HTTP{{ end -}}
{{- end -}}

{{/* How a monitor scrapes: the same for services and pods. */}}
{{- define "bridge.endpoint" -}}
port: http
path: /metrics
# The bridge's own label `service` (mcp_hub_retries_total) is not the name of a Service.
honorLabels: true
interval: {{ .Values.serviceMonitor.interval }}
scrapeTimeout: {{ .Values.serviceMonitor.scrapeTimeout }}
{{- if .Values.tls.secretName }}
scheme: https
tlsConfig:
  serverName: {{ include "bridge.fullname" . }}
  ca:
    secret:
      name: {{ .Values.tls.secretName }}
      key: ca.crt
  {{- with .Values.serviceMonitor.clientSecretName }}
  cert:
    secret:
      name: {{ . }}
      key: tls.crt
  keySecret:
    name: {{ . }}
    key: tls.key
  {{- end }}
{{- end }}
{{- if and .Values.auth.secretName (has "scrape" .Values.auth.rights) }}
authorization:
  type: Bearer
  credentials:
    name: {{ .Values.auth.secretName }}
    key: scrape
{{- end }}
{{- end -}}

{{/* The ports of every OTLP endpoint of the values, without repetition: of `push`, of `config`, and of variables in `env`. */}}
{{- define "bridge.collectorPorts" -}}
{{- $endpoints := list .Values.push.tracesEndpoint .Values.push.metricsEndpoint -}}
{{- range regexFindAll "\"endpoint\":\"https?://[^\"]+" (toJson .Values.config) -1 -}}
{{- $endpoints = append $endpoints (trimPrefix "\"endpoint\":\"" .) -}}
{{- end -}}
{{- range .Values.env -}}
{{- if regexMatch "^OTEL_EXPORTER_OTLP_(TRACES_|METRICS_)?ENDPOINT$" .name -}}
{{- $endpoints = append $endpoints (default "" .value) -}}
{{- end -}}
{{- end -}}
{{- $ports := list -}}
{{- range without $endpoints "" -}}
{{- $url := urlParse . -}}
{{- $said := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) -}}
{{- $ports = append $ports (default (ternary "443" "80" (eq $url.scheme "https")) $said) -}}
{{- end -}}
{{- $ports | uniq | join "," -}}
{{- end -}}

{{/* What no schema sees: values that contradict each other. */}}
{{- define "bridge.check" -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled -}}
{{- fail "serviceMonitor.enabled and podMonitor.enabled: each of them scrapes every pod, and together they scrape it twice; enable one" -}}
{{- end -}}
{{- if and (ne .Values.service.type "ClusterIP") .Values.networkPolicy.enabled (not .Values.networkPolicy.extraIngress) -}}
{{- fail (printf "service.type %s is for senders outside of the cluster, and networkPolicy.enabled lets none of them in; name them in networkPolicy.extraIngress, or disable it" .Values.service.type) -}}
{{- end -}}
{{- end -}}
