{{/* What every pod of the shop has in common: (dict "root" $ "component" "web"). */}}

{{- define "service-lib.podSettings" -}}
{{- with .root.Values.global.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
automountServiceAccountToken: false
{{- /* The variables that Kubernetes makes for each Service would be read as ours: GATEWAY_PORT, REDIS_PORT. */}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ int64 .root.Values.runAsUser }}
  runAsGroup: {{ int64 .root.Values.runAsUser }}
  fsGroup: {{ int64 .root.Values.runAsUser }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "service-lib.topologySpread" -}}
{{- with .root.Values.topologySpread }}
{{- if .enabled }}
topologySpreadConstraints:
  {{- range .topologyKeys }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: {{ $.root.Values.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "service-lib.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "service-lib.containerSettings" -}}
image: {{ include "service-lib.image" . }}
imagePullPolicy: {{ .Values.global.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- define "service-lib.tmpVolume" -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ .Values.tmpSizeLimit }}
{{- end }}

{{/* Annotations of a pod that serves /metrics on .port. */}}
{{- define "service-lib.podAnnotations" -}}
{{- $annotations := dict }}
{{- if and .port .root.Values.metrics.annotations }}
{{- $annotations = dict "prometheus.io/scrape" "true" "prometheus.io/port" (toString .port) "prometheus.io/path" "/metrics" }}
{{- end }}
{{- with mergeOverwrite $annotations .root.Values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Volumes and mounts of a service's process: keys, /tmp, and the pictures where they are handled. */}}
{{- define "service-lib.volumes" -}}
{{- include "service-lib.tmpVolume" .root }}
- name: secrets
  projected:
    {{- /* 0440: the owner is root, the group is ours by fsGroup. */}}
    defaultMode: 288
    sources:
      {{- range $name, $reference := .root.Values.secrets.files }}
      - secret:
          name: {{ $reference.name | default $.root.Values.existingSecret | default $.root.Chart.Name }}
          items:
            - key: {{ $reference.key | default $name }}
              path: {{ $name }}
      {{- end }}
{{- range $name, $configMap := .root.Values.publicKeys }}
- name: {{ $name | lower | replace "_" "-" }}
  configMap:
    name: {{ $configMap }}
{{- end }}
{{- if include "service-lib.mountsMedia" . }}
- name: media
  persistentVolumeClaim:
    claimName: {{ include "service-lib.mediaClaimName" .root }}
{{- end }}
{{- end }}

{{- define "service-lib.volumeMounts" -}}
- name: tmp
  mountPath: /tmp
- name: secrets
  mountPath: /run/secrets/shop
  readOnly: true
{{- range $name, $_ := .root.Values.publicKeys }}
- name: {{ $name | lower | replace "_" "-" }}
  mountPath: /run/keys/{{ $name }}
  readOnly: true
{{- end }}
{{- if include "service-lib.mountsMedia" . }}
- name: media
  mountPath: /media
{{- end }}
{{- end }}

{{- define "service-lib.mountsMedia" -}}
{{- with .root.Values.media }}
{{- if and (eq .storage "filesystem") (has $.component (list "web" "worker")) }}true{{ end }}
{{- end }}
{{- end }}
